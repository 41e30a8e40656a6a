// ids
export { ID_PREFIXES, type IdKind, isId, newId, randomSuffix } from './ids.ts';
// errors
export {
  closeCodeOf,
  ERROR_CODE_NAMES,
  ERROR_CODES,
  type ErrorBody,
  type ErrorCode,
  type ErrorObject,
  type ErrorOptions,
  errorCodeOfClose,
  isErrorCode,
  ParleyError,
} from './errors.ts';

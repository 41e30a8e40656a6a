export { compileType, type Parsed, type Type, type Unparsed } from '@parley/core';

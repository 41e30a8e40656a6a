package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Problem is the first thing that is wrong with a value: where, and a sentence that begins with the place.
type Problem struct {
	Path    string
	Message string
}

// excerptChars is the longest excerpt of a wrong text that a message shows.
const excerptChars = 64

// Check finds the first problem of a decoded value (see Decode) as a named part of the contract, or nil.
// It panics on a name that the contract does not have.
func Check(name string, value any) *Problem {
	if !Has(name) {
		panic(fmt.Sprintf("parley: the contract has no part %q", name))
	}
	return loaded().Defs[name].check(value, "")
}

// Has says whether the contract has a part of that name.
func Has(name string) bool {
	_, ok := loaded().Catalog.Schemas[name]
	return ok
}

// Checked is Check as an error: invalid_argument with details.path.
func Checked(name string, value any) error {
	if problem := Check(name, value); problem != nil {
		return invalid(problem.Path, problem.Message)
	}
	return nil
}

func invalid(path, message string) *Error {
	return NewError("invalid_argument", message).With("path", path)
}

func (s *schema) check(value any, path string) *Problem {
	switch {
	case s.Ref != "":
		return s.resolved().check(value, path)
	case s.OneOf != nil:
		return s.checkUnion(value, path)
	case s.AnyOf != nil:
		return s.checkNullable(value, path)
	case s.Type.nullable && value == nil:
		return nil
	case s.Const != nil:
		return checkValues([]string{*s.Const}, value, path)
	case s.Enum != nil:
		return checkValues(s.Enum, value, path)
	}
	switch s.Type.name {
	case "object":
		return s.checkObject(value, path)
	case "array":
		return s.checkArray(value, path)
	case "string":
		return s.checkString(value, path)
	case "integer", "number":
		return s.checkNumber(value, path)
	case "boolean":
		if _, ok := value.(bool); !ok {
			return wrongType(path, "a boolean", value)
		}
	case "null":
		if value != nil {
			return wrongType(path, "null", value)
		}
	}
	return nil
}

func (s *schema) resolved() *schema {
	for s.Ref != "" {
		s = loaded().Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	return s
}

func (s *schema) checkUnion(value any, path string) *Problem {
	object, ok := value.(map[string]any)
	if !ok {
		return wrongType(path, "an object", value)
	}
	at := below(path, "type")
	tag, present := object["type"]
	if !present {
		return problem(at, "is required")
	}
	names := make([]string, 0, len(s.OneOf))
	for _, branch := range s.OneOf {
		name := *branch.resolved().Properties.find("type").Const
		if name == tag {
			return branch.check(value, path)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return problem(at, "must be one of "+strings.Join(names, ", ")+"; got "+describe(tag))
}

func (s *schema) checkNullable(value any, path string) *Problem {
	if value == nil {
		return nil
	}
	for _, branch := range s.AnyOf {
		if branch.Type.name != "null" && (branch.Type.name != "" || !branch.Type.nullable) {
			return branch.check(value, path)
		}
	}
	return nil
}

func (s *schema) checkObject(value any, path string) *Problem {
	object, ok := value.(map[string]any)
	if !ok {
		return wrongType(path, "an object", value)
	}
	for _, name := range s.Required {
		if _, present := object[name]; !present {
			return problem(below(path, name), "is required")
		}
	}
	for _, one := range s.Properties {
		if field, present := object[one.name]; present {
			if found := one.schema.check(field, below(path, one.name)); found != nil {
				return found
			}
		}
	}
	return s.checkOthers(object, path)
}

// checkOthers looks at the fields that the schema does not name: refused when it is closed, checked when it says how.
func (s *schema) checkOthers(object map[string]any, path string) *Problem {
	closed := string(s.Additional) == "false"
	var rest *schema
	if len(s.Additional) > 0 && s.Additional[0] == '{' {
		rest = new(schema)
		if err := json.Unmarshal(s.Additional, rest); err != nil {
			panic(fmt.Sprintf("parley: the embedded contract is broken: %v", err))
		}
	}
	if !closed && rest == nil {
		return nil
	}
	// Go sorts text by its bytes, which is by code point.
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if s.Properties.find(name) != nil {
			continue
		}
		if closed {
			known := strings.Join(s.Properties.names(), ", ")
			if known == "" {
				known = "none"
			}
			return problem(below(path, name), "is not a known field. Known fields: "+known)
		}
		if found := rest.check(object[name], below(path, name)); found != nil {
			return found
		}
	}
	return nil
}

func (s *schema) checkArray(value any, path string) *Problem {
	list, ok := value.([]any)
	if !ok {
		return wrongType(path, "an array", value)
	}
	if len(list) < s.MinItems {
		return problem(path, fmt.Sprintf("must have at least %d %s", s.MinItems, entries(s.MinItems)))
	}
	if s.MaxItems != nil && len(list) > *s.MaxItems {
		return problem(path, fmt.Sprintf("must have at most %d %s", *s.MaxItems, entries(*s.MaxItems)))
	}
	if s.Items == nil {
		return nil
	}
	for i, entry := range list {
		if found := s.Items.check(entry, fmt.Sprintf("%s[%d]", path, i)); found != nil {
			return found
		}
	}
	return nil
}

func (s *schema) checkString(value any, path string) *Problem {
	text, ok := value.(string)
	if !ok {
		return wrongType(path, "a string", value)
	}
	chars := utf8.RuneCountInString(text)
	if chars < s.MinLength {
		if s.MinLength == 1 {
			return problem(path, "must not be empty")
		}
		return problem(path, fmt.Sprintf("must have at least %d characters", s.MinLength))
	}
	if s.MaxLength != nil && chars > *s.MaxLength {
		return problem(path, fmt.Sprintf("must have at most %d characters", *s.MaxLength))
	}
	if s.Pattern != "" && !pattern(s.Pattern).MatchString(text) {
		return problem(path, "must match "+s.Pattern+"; got "+describe(text))
	}
	return nil
}

func (s *schema) checkNumber(value any, path string) *Problem {
	wanted := "a number"
	if s.Type.name == "integer" {
		wanted = "an integer"
	}
	number, ok := value.(float64)
	if !ok || math.IsInf(number, 0) {
		return wrongType(path, wanted, value)
	}
	if s.Type.name == "integer" && number != math.Trunc(number) {
		return problem(path, "must be an integer")
	}
	if s.Minimum != nil && number < *s.Minimum {
		return problem(path, "must be at least "+decimal(*s.Minimum))
	}
	if s.Maximum != nil && number > *s.Maximum {
		return problem(path, "must be at most "+decimal(*s.Maximum))
	}
	return nil
}

func checkValues(values []string, value any, path string) *Problem {
	if text, ok := value.(string); ok && slices.Contains(values, text) {
		return nil
	}
	if len(values) == 1 {
		return problem(path, "must be '"+values[0]+"'; got "+describe(value))
	}
	names := slices.Sorted(slices.Values(values))
	return problem(path, "must be one of "+strings.Join(names, ", ")+"; got "+describe(value))
}

var patterns sync.Map

// pattern compiles a pattern once. In Go as in JSON Schema, `$` without flags is the very end of the text.
func pattern(source string) *regexp.Regexp {
	if known, ok := patterns.Load(source); ok {
		return known.(*regexp.Regexp)
	}
	compiled := regexp.MustCompile(source)
	patterns.Store(source, compiled)
	return compiled
}

// CompileSchema makes a check of a schema that uses what the contract's own schemas use. Nil accepts everything.
func CompileSchema(source any) (func(value any) *Problem, error) {
	if source == nil {
		return func(any) *Problem { return nil }, nil
	}
	text, err := json.Marshal(source)
	if err != nil {
		return nil, NewError("invalid_argument", "the schema is not JSON: "+err.Error()).Because(err)
	}
	compiled := new(schema)
	if err := json.Unmarshal(text, compiled); err != nil {
		return nil, NewError("invalid_argument", "the schema cannot be read: "+err.Error()).Because(err)
	}
	return func(value any) *Problem { return compiled.check(value, "") }, nil
}

package fold

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Is the input of a tool what its author said it would be? The author's schema may use all of JSON Schema 2020-12, and
// the words of a refusal stand in the log, so keywords are looked at in the order, and refused in the words, of the
// control plane's own validator. Not judged: format (nor is it there), unevaluatedProperties and unevaluatedItems,
// $dynamicRef, references to other documents, and patterns that Go's regexp cannot read.

// inputProblem is the first problem of an input, in words, or empty.
func inputProblem(schema json.RawMessage, input any) string {
	if len(schema) == 0 {
		return ""
	}
	root, err := parse(schema)
	if err != nil {
		return ""
	}
	found := (&validator{root: root}).check(root, input, "", 0)
	if found == nil {
		return ""
	}
	where := "input"
	if found.path != "" {
		where = strings.ReplaceAll(found.path[1:], "/", ".")
	}
	return where + " " + found.words
}

type mismatch struct{ path, words string }

func wrong(path, form string, values ...any) *mismatch {
	return &mismatch{path, fmt.Sprintf(form, values...)}
}

type validator struct{ root any }

// depthMax bounds a schema that refers to itself without end.
const depthMax = 512

func (v *validator) check(schema, data any, path string, depth int) *mismatch {
	if depth > depthMax {
		return nil
	}
	s, ok := schema.(*object)
	if !ok {
		if schema == false {
			return wrong(path, "boolean schema is false")
		}
		return nil
	}
	types := allowed(s, typesOf(s))
	// One type with rules of its own is looked at together with them, and later than those of any type.
	late := len(types) == 1 && hasRules(s, types[0])
	if len(types) > 0 && !late && !slices.ContainsFunc(types, func(name string) bool { return isType(data, name) }) {
		return wrongType(s, path)
	}
	at := place{v, s, data, path, depth}
	for _, group := range []struct {
		name  string
		check func() *mismatch
	}{{"", at.anything}, {"number", at.number}, {"string", at.text}, {"array", at.list}, {"object", at.fields}} {
		if group.name == "" || isType(data, group.name) {
			if found := group.check(); found != nil {
				return found
			}
		} else if late && types[0] == group.name {
			return wrongType(s, path)
		}
	}
	return nil
}

// rulesOf are the keywords that only say something about one type.
var rulesOf = map[string][]string{
	"number": {"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf", "format"},
	"string": {"maxLength", "minLength", "pattern", "format"},
	"array":  {"maxItems", "minItems", "prefixItems", "items", "contains", "uniqueItems", "unevaluatedItems"},
	"object": {"maxProperties", "minProperties", "required", "propertyNames", "additionalProperties", "dependencies",
		"properties", "patternProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"},
}

func hasRules(s *object, name string) bool {
	return slices.ContainsFunc(rulesOf[name], func(rule string) bool { _, ok := s.values[rule]; return ok })
}

func typesOf(s *object) []string {
	var types []string
	switch named := s.values["type"].(type) {
	case string:
		types = []string{named}
	case []any:
		for _, one := range named {
			if name, ok := one.(string); ok {
				types = append(types, name)
			}
		}
	}
	return types
}

// allowed are the types of a schema, and null where it says nullable.
func allowed(s *object, types []string) []string {
	if s.values["nullable"] == true && len(types) > 0 && !slices.Contains(types, "null") {
		return append(slices.Clone(types), "null")
	}
	return types
}

func isType(data any, name string) bool {
	switch d := data.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case *object:
		return name == "object"
	case float64:
		return !math.IsInf(d, 0) && (name == "number" || name == "integer" && d == math.Trunc(d))
	}
	return false
}

func wrongType(s *object, path string) *mismatch {
	return wrong(path, "must be %s", strings.Join(typesOf(s), ","))
}

// place is a schema at a place of the data.
type place struct {
	*validator
	schema *object
	data   any
	path   string
	depth  int
}

func (p place) sub(schema, data any, path string) *mismatch {
	return p.check(schema, data, path, p.depth+1)
}

func (p place) here(schema any) *mismatch { return p.sub(schema, p.data, p.path) }

func (p place) below(schema any, name string, data any) *mismatch {
	escaped := strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	return p.sub(schema, data, p.path+"/"+escaped)
}

func (p place) anything() *mismatch {
	if reference, ok := p.schema.values["$ref"].(string); ok {
		if target, ok := p.resolve(reference); ok {
			if found := p.here(target); found != nil {
				return found
			}
		}
	}
	if constant, ok := p.schema.values["const"]; ok && !equal(constant, p.data) {
		return wrong(p.path, "must be equal to constant")
	}
	if values, ok := p.schema.values["enum"].([]any); ok {
		if !slices.ContainsFunc(values, func(one any) bool { return equal(one, p.data) }) {
			return wrong(p.path, "must be equal to one of the allowed values")
		}
	}
	if schema, ok := p.schema.values["not"]; ok && p.here(schema) == nil {
		return wrong(p.path, "must NOT be valid")
	}
	if found := p.choices(); found != nil {
		return found
	}
	if schema, ok := p.schema.values["if"]; ok {
		branch := "then"
		if p.here(schema) != nil {
			branch = "else"
		}
		if then, ok := p.schema.values[branch]; ok {
			return p.here(then)
		}
	}
	return nil
}

func (p place) choices() *mismatch {
	if schemas, ok := p.schema.values["anyOf"].([]any); ok {
		var first *mismatch
		fits := false
		for _, schema := range schemas {
			found := p.here(schema)
			if fits = found == nil; fits {
				break
			}
			if first == nil {
				first = found
			}
		}
		if !fits && first != nil {
			return first
		}
	}
	if schemas, ok := p.schema.values["oneOf"].([]any); ok {
		var first *mismatch
		fitting := 0
		for _, schema := range schemas {
			if found := p.here(schema); found == nil {
				fitting++
			} else if first == nil {
				first = found
			}
			if fitting > 1 {
				break
			}
		}
		if fitting != 1 && first != nil {
			return first
		}
		if fitting != 1 {
			return wrong(p.path, "must match exactly one schema in oneOf")
		}
	}
	schemas, _ := p.schema.values["allOf"].([]any)
	for _, schema := range schemas {
		if found := p.here(schema); found != nil {
			return found
		}
	}
	return nil
}

// resolve finds what a reference within the schema points at.
func (p place) resolve(reference string) (any, bool) {
	rest, ok := strings.CutPrefix(reference, "#")
	at := p.root
	for _, step := range strings.Split(rest, "/")[1:] {
		in, isObject := at.(*object)
		if !isObject {
			return nil, false
		}
		name := strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		if at, isObject = in.values[name]; !isObject {
			return nil, false
		}
	}
	return at, ok
}

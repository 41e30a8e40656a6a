package fold

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

func (p place) number() *mismatch {
	data := p.data.(float64)
	for _, bound := range []struct {
		rule, sign string
		holds      func(limit float64) bool
	}{
		{"maximum", "<=", func(limit float64) bool { return data <= limit }},
		{"minimum", ">=", func(limit float64) bool { return data >= limit }},
		{"exclusiveMaximum", "<", func(limit float64) bool { return data < limit }},
		{"exclusiveMinimum", ">", func(limit float64) bool { return data > limit }},
	} {
		if limit, ok := p.schema.values[bound.rule].(float64); ok && !bound.holds(limit) {
			return wrong(p.path, "must be %s %s", bound.sign, numberText(limit))
		}
	}
	if step, ok := p.schema.values["multipleOf"].(float64); ok && step != 0 && math.Trunc(data/step) != data/step {
		return wrong(p.path, "must be multiple of %s", numberText(step))
	}
	return nil
}

func (p place) text() *mismatch {
	data := p.data.(string)
	chars := utf8.RuneCountInString(data)
	if found := p.size(chars, "maxLength", "minLength", "characters"); found != nil {
		return found
	}
	if source, ok := p.schema.values["pattern"].(string); ok {
		if compiled := patternOf(source); compiled != nil && !compiled.MatchString(data) {
			return wrong(p.path, "must match pattern \"%s\"", source)
		}
	}
	return nil
}

// size holds a length against its two bounds.
func (p place) size(length int, most, least, what string) *mismatch {
	if limit, ok := p.schema.values[most].(float64); ok && float64(length) > limit {
		return wrong(p.path, "must NOT have more than %s %s", numberText(limit), what)
	}
	if limit, ok := p.schema.values[least].(float64); ok && float64(length) < limit {
		return wrong(p.path, "must NOT have fewer than %s %s", numberText(limit), what)
	}
	return nil
}

var patterns sync.Map

// patternOf compiles a pattern once; nil for one that Go cannot read.
func patternOf(source string) *regexp.Regexp {
	if known, ok := patterns.Load(source); ok {
		return known.(*regexp.Regexp)
	}
	// A pattern that Go does not know is not judged.
	compiled, err := regexp.Compile(source)
	if err != nil {
		compiled = nil
	}
	patterns.Store(source, compiled)
	return compiled
}

func (p place) list() *mismatch {
	data := p.data.([]any)
	if found := p.size(len(data), "maxItems", "minItems", "items"); found != nil {
		return found
	}
	first, _ := p.schema.values["prefixItems"].([]any)
	for i := range min(len(first), len(data)) {
		if found := p.below(first[i], fmt.Sprint(i), data[i]); found != nil {
			return found
		}
	}
	if items, ok := p.schema.values["items"]; ok {
		if items == false && len(data) > len(first) {
			return wrong(p.path, "must NOT have more than %d items", len(first))
		}
		for i := len(first); i < len(data); i++ {
			if found := p.below(items, fmt.Sprint(i), data[i]); found != nil {
				return found
			}
		}
	}
	if found := p.contains(data); found != nil {
		return found
	}
	if p.schema.values["uniqueItems"] == true {
		return p.unique(data)
	}
	return nil
}

func (p place) contains(data []any) *mismatch {
	schema, ok := p.schema.values["contains"]
	if !ok {
		return nil
	}
	least, most := 1.0, math.Inf(1)
	if limit, ok := p.schema.values["minContains"].(float64); ok {
		least = limit
	}
	if limit, ok := p.schema.values["maxContains"].(float64); ok {
		most = limit
	}
	fitting := 0.0
	for i, entry := range data {
		if p.below(schema, fmt.Sprint(i), entry) == nil {
			fitting++
		}
	}
	switch {
	case fitting >= least && fitting <= most:
		return nil
	case math.IsInf(most, 1):
		return wrong(p.path, "must contain at least %s valid item(s)", numberText(least))
	}
	return wrong(p.path, "must contain at least %s and no more than %s valid item(s)", numberText(least), numberText(most))
}

func (p place) unique(data []any) *mismatch {
	// Entries of plain types are looked up from the end; others are compared with each one before them.
	items, _ := p.schema.values["items"].(*object)
	var types []string
	if items != nil {
		types = allowed(items, typesOf(items))
	}
	plain := len(types) > 0 && !slices.Contains(types, "object") && !slices.Contains(types, "array")
	for i := len(data) - 1; i >= 0; i-- {
		if plain {
			for j := i + 1; j < len(data); j++ {
				if equal(data[i], data[j]) {
					return wrong(p.path, "must NOT have duplicate items (items ## %d and %d are identical)", j, i)
				}
			}
			continue
		}
		for j := i - 1; j >= 0; j-- {
			if equal(data[i], data[j]) {
				return wrong(p.path, "must NOT have duplicate items (items ## %d and %d are identical)", j, i)
			}
		}
	}
	return nil
}

func (p place) fields() *mismatch {
	data := p.data.(*object)
	if found := p.size(len(data.keys), "maxProperties", "minProperties", "properties"); found != nil {
		return found
	}
	for _, name := range texts(p.schema.values["required"]) {
		if _, ok := data.values[name]; !ok {
			return wrong(p.path, "must have required property '%s'", name)
		}
	}
	if names, ok := p.schema.values["propertyNames"]; ok {
		for _, key := range data.keys {
			if found := p.sub(names, key, p.path); found != nil {
				return found
			}
		}
	}
	for _, check := range []func(*object) *mismatch{p.additional, p.dependencies, p.named, p.matching, p.dependentRequired, p.dependentSchemas} {
		if found := check(data); found != nil {
			return found
		}
	}
	return nil
}

func (p place) additional(data *object) *mismatch {
	schema, ok := p.schema.values["additionalProperties"]
	if !ok {
		return nil
	}
	known, _ := p.schema.values["properties"].(*object)
	patterned, _ := p.schema.values["patternProperties"].(*object)
	for _, key := range data.keys {
		if known != nil {
			if _, named := known.values[key]; named {
				continue
			}
		}
		if patterned != nil && slices.ContainsFunc(patterned.keys, func(source string) bool {
			compiled := patternOf(source)
			return compiled == nil || compiled.MatchString(key)
		}) {
			continue
		}
		if schema == false {
			return wrong(p.path, "must NOT have additional properties")
		}
		if found := p.below(schema, key, data.values[key]); found != nil {
			return found
		}
	}
	return nil
}

func (p place) named(data *object) *mismatch {
	properties, _ := p.schema.values["properties"].(*object)
	if properties == nil {
		return nil
	}
	for _, name := range properties.keys {
		if value, ok := data.values[name]; ok {
			if found := p.below(properties.values[name], name, value); found != nil {
				return found
			}
		}
	}
	return nil
}

func (p place) matching(data *object) *mismatch {
	patterned, _ := p.schema.values["patternProperties"].(*object)
	if patterned == nil {
		return nil
	}
	for _, source := range patterned.keys {
		compiled := patternOf(source)
		for _, key := range data.keys {
			if compiled == nil || !compiled.MatchString(key) {
				continue
			}
			if found := p.below(patterned.values[source], key, data.values[key]); found != nil {
				return found
			}
		}
	}
	return nil
}

// dependencies is the older keyword: lists of names first, then schemas.
func (p place) dependencies(data *object) *mismatch {
	if found := p.required("dependencies", data); found != nil {
		return found
	}
	return p.schemas("dependencies", data)
}

func (p place) dependentRequired(data *object) *mismatch {
	return p.required("dependentRequired", data)
}

func (p place) dependentSchemas(data *object) *mismatch { return p.schemas("dependentSchemas", data) }

func (p place) required(keyword string, data *object) *mismatch {
	dependents, _ := p.schema.values[keyword].(*object)
	if dependents == nil {
		return nil
	}
	for _, name := range dependents.keys {
		needed := texts(dependents.values[name])
		if _, ok := data.values[name]; !ok || len(needed) == 0 {
			continue
		}
		if slices.ContainsFunc(needed, func(one string) bool { _, ok := data.values[one]; return !ok }) {
			what := "properties"
			if len(needed) == 1 {
				what = "property"
			}
			return wrong(p.path, "must have %s %s when property %s is present", what, strings.Join(needed, ", "), name)
		}
	}
	return nil
}

func (p place) schemas(keyword string, data *object) *mismatch {
	dependents, _ := p.schema.values[keyword].(*object)
	if dependents == nil {
		return nil
	}
	for _, name := range dependents.keys {
		if _, isList := dependents.values[name].([]any); isList {
			continue
		}
		if _, ok := data.values[name]; !ok {
			continue
		}
		if found := p.here(dependents.values[name]); found != nil {
			return found
		}
	}
	return nil
}

func texts(value any) []string {
	list, _ := value.([]any)
	names := make([]string, 0, len(list))
	for _, one := range list {
		if name, ok := one.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// equal is deep equality of JSON; the order of keys does not count.
func equal(a, b any) bool {
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	case *object:
		y, ok := b.(*object)
		return ok && maps.EqualFunc(x.values, y.values, equal)
	}
	if _, ok := b.([]any); ok {
		return false
	}
	if _, ok := b.(*object); ok {
		return false
	}
	return a == b
}

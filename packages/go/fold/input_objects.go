package fold

import (
	"slices"
	"strings"
)

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

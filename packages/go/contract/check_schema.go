package contract

import (
	"bytes"
	"encoding/json"
	"slices"
)

// A schema is JSON Schema as far as the contract uses it.
type schema struct {
	Ref        string          `json:"$ref"`
	Type       jsonTypes       `json:"type"`
	Properties properties      `json:"properties"`
	Required   []string        `json:"required"`
	Additional json.RawMessage `json:"additionalProperties"`
	Items      *schema         `json:"items"`
	MinItems   int             `json:"minItems"`
	MaxItems   *int            `json:"maxItems"`
	Enum       []string        `json:"enum"`
	Const      *string         `json:"const"`
	Pattern    string          `json:"pattern"`
	MinLength  int             `json:"minLength"`
	MaxLength  *int            `json:"maxLength"`
	Minimum    *float64        `json:"minimum"`
	Maximum    *float64        `json:"maximum"`
	OneOf      []*schema       `json:"oneOf"`
	AnyOf      []*schema       `json:"anyOf"`
}

// properties are fields in the order in which the schema has them, because checks go in that order.
type properties []property

type property struct {
	name   string
	schema *schema
}

func (p *properties) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		one := property{name: key.(string), schema: new(schema)}
		if err := decoder.Decode(one.schema); err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

func (p properties) names() []string {
	names := make([]string, len(p))
	for i := range p {
		names[i] = p[i].name
	}
	slices.Sort(names)
	return names
}

func (p properties) find(name string) *schema {
	for _, one := range p {
		if one.name == name {
			return one.schema
		}
	}
	return nil
}

// jsonTypes is `type`: one name, or a list of two of which one is null.
type jsonTypes struct {
	name     string
	nullable bool
}

func (t *jsonTypes) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &t.name)
	}
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	for _, name := range names {
		if name == "null" {
			t.nullable = true
		} else {
			t.name = name
		}
	}
	return nil
}

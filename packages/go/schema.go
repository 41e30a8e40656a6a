package parley

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// orderedObject is a JSON object whose fields keep their order, as checks need it.
type orderedObject []field

type field struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o orderedObject) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, one := range o {
		if i > 0 {
			text = append(text, ',')
		}
		name, err := json.Marshal(one.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(one.value)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, name...), ':'), value...)
	}
	return append(text, '}'), nil
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
)

// schemaOf derives a JSON Schema from a type; nil for a type that says nothing (any, a type with its own JSON).
func schemaOf[T any](what string) (any, error) {
	schema, err := typeSchema(reflect.TypeFor[T](), map[reflect.Type]bool{})
	if err != nil {
		return nil, contract.NewError("invalid_argument", fmt.Sprintf("%s has no JSON form: %v", what, err)).Because(err)
	}
	if object, ok := schema.(orderedObject); ok && len(object) == 0 {
		return nil, nil
	}
	return schema, nil
}

// A described type is what a Go type is in JSON. It is worked out once and shared by all functions that take or give the
// type, and nobody changes it.
type described struct {
	// schema has its fields in order, as checks need it; nil says nothing.
	schema any
	// object is the same as it stands in a declaration.
	object contract.JsonObject
	check  func(value any) *contract.Problem
}

// descriptions are kept by type: a program has as many as it has types.
var descriptions sync.Map

func describe[T any](what string) (*described, error) {
	t := reflect.TypeFor[T]()
	if known, ok := descriptions.Load(t); ok {
		return known.(*described), nil
	}
	schema, err := schemaOf[T](what)
	if err != nil {
		return nil, err
	}
	check, err := contract.CompileSchema(schema)
	if err != nil {
		return nil, err
	}
	one := &described{schema: schema, check: check}
	if schema != nil {
		if err := decodeLoosely(frameText(schema), &one.object); err != nil {
			return nil, contract.NewError("internal", err.Error()).Because(err)
		}
	}
	known, _ := descriptions.LoadOrStore(t, one)
	return known.(*described), nil
}

// typeSchema is the schema of one type. open holds the structs that are being described: one that holds itself has no
// schema without references.
func typeSchema(t reflect.Type, open map[reflect.Type]bool) (any, error) {
	switch {
	case t == timeType:
		return orderedObject{{"type", "string"}}, nil
	case t == rawType:
		return orderedObject{}, nil
	case t.Kind() == reflect.Pointer:
		inner, err := typeSchema(t.Elem(), open)
		if err != nil {
			return nil, err
		}
		if object, ok := inner.(orderedObject); ok && len(object) == 0 {
			return inner, nil
		}
		return orderedObject{{"anyOf", []any{inner, orderedObject{{"type", "null"}}}}}, nil
	case t.Implements(marshalerType) || reflect.PointerTo(t).Implements(marshalerType):
		return orderedObject{}, nil
	case t.Implements(textType) || reflect.PointerTo(t).Implements(textType):
		return orderedObject{{"type", "string"}}, nil
	}
	return kindSchema(t, open)
}

func kindSchema(t reflect.Type, open map[reflect.Type]bool) (any, error) {
	switch t.Kind() {
	case reflect.String:
		return orderedObject{{"type", "string"}}, nil
	case reflect.Bool:
		return orderedObject{{"type", "boolean"}}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return orderedObject{{"type", "integer"}}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return orderedObject{{"type", "integer"}, {"minimum", 0}}, nil
	case reflect.Float32, reflect.Float64:
		return orderedObject{{"type", "number"}}, nil
	case reflect.Interface:
		return orderedObject{}, nil
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return orderedObject{{"type", "string"}}, nil
		}
		items, err := typeSchema(t.Elem(), open)
		return orderedObject{{"type", "array"}, {"items", items}}, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("the keys of %s are no text", t)
		}
		values, err := typeSchema(t.Elem(), open)
		return orderedObject{{"type", "object"}, {"additionalProperties", values}}, err
	case reflect.Struct:
		return structSchema(t, open)
	default:
		return nil, fmt.Errorf("%s cannot be JSON", t)
	}
}

func structSchema(t reflect.Type, open map[reflect.Type]bool) (any, error) {
	if open[t] {
		return nil, fmt.Errorf("%s holds itself", t)
	}
	open[t] = true
	defer delete(open, t)
	properties, required := orderedObject{}, []string{}
	for _, one := range reflect.VisibleFields(t) {
		name, optional, skipped := fieldName(one)
		if skipped {
			continue
		}
		schema, err := fieldSchema(one, open)
		if err != nil {
			return nil, err
		}
		properties = append(properties, field{name, schema})
		if !optional {
			required = append(required, name)
		}
	}
	object := orderedObject{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		object = append(object, field{"required", required})
	}
	return object, nil
}

func fieldSchema(one reflect.StructField, open map[reflect.Type]bool) (any, error) {
	schema, err := typeSchema(one.Type, open)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", one.Name, err)
	}
	object := schema.(orderedObject)
	if values := one.Tag.Get("enum"); values != "" {
		object = append(object, field{"enum", strings.Split(values, ",")})
	}
	if words := one.Tag.Get("description"); words != "" {
		object = append(object, field{"description", words})
	}
	return object, nil
}

// fieldName is how encoding/json names a field, and whether it may be missing.
func fieldName(one reflect.StructField) (name string, optional, skipped bool) {
	tag := one.Tag.Get("json")
	name, rest, _ := strings.Cut(tag, ",")
	// An embedded struct without a name gives its fields, which VisibleFields lists by themselves. Fields behind an
	// embedded pointer are not followed.
	embedded := one.Anonymous && name == "" && (one.Type.Kind() == reflect.Struct || one.Type.Kind() == reflect.Pointer)
	if !one.IsExported() || tag == "-" || embedded {
		return "", false, true
	}
	if name == "" {
		name = one.Name
	}
	options := strings.Split(rest, ",")
	for _, option := range options {
		if option == "omitempty" || option == "omitzero" {
			optional = true
		}
	}
	return name, optional || one.Type.Kind() == reflect.Pointer, false
}

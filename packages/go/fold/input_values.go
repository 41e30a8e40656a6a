package fold

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

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

var (
	patterns     sync.Map
	patternsKept atomic.Int64
)

const patternsMax = 1024

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
	// Past the bound a pattern is compiled each time: logs of many agents may be folded in one process.
	if patternsKept.Add(1) <= patternsMax {
		patterns.Store(source, compiled)
	}
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

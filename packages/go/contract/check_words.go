package contract

import "strconv"

func entries(count int) string {
	if count == 1 {
		return "entry"
	}
	return "entries"
}

func decimal(number float64) string { return strconv.FormatFloat(number, 'f', -1, 64) }

func wrongType(path, wanted string, value any) *Problem {
	return problem(path, "must be "+wanted+", got "+typeName(value))
}

func problem(path, words string) *Problem {
	subject := path
	if path == "" {
		subject = "the value"
	}
	return &Problem{Path: path, Message: subject + " " + words}
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// describe is a text in single quotes, cut; of anything else only the type. Numbers are never shown: languages print
// them differently.
func describe(value any) string {
	text, ok := value.(string)
	if !ok {
		return typeName(value)
	}
	if runes := []rune(text); len(runes) > excerptChars {
		return "'" + string(runes[:excerptChars]) + "…'"
	}
	return "'" + text + "'"
}

func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case string:
		return "string"
	case bool:
		return "boolean"
	default:
		return "number"
	}
}

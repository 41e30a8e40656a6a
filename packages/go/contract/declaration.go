package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// NormaliseName trims ASCII white space, lower-cases ASCII letters, and turns - into _: " Audio-Turns" is audio_turns.
// Only ASCII: the languages disagree about the rest of Unicode's white space and case.
func NormaliseName(name string) string {
	return strings.Map(func(char rune) rune {
		switch {
		case char >= 'A' && char <= 'Z':
			return char + ('a' - 'A')
		case char == '-':
			return '_'
		default:
			return char
		}
	}, strings.Trim(name, "\t\n\v\f\r "))
}

// CheckPair checks a provider and a transport against the capability table, and returns them normalised. Anything but
// a text counts as missing.
func CheckPair(rawProvider, rawTransport any) (provider, transport string, err error) {
	providerText, _ := rawProvider.(string)
	transportText, _ := rawTransport.(string)
	provider, transport = NormaliseName(providerText), NormaliseName(transportText)
	if provider == "" {
		return "", "", invalid("provider", "Session provider is required; Parley does not infer providers.")
	}
	if transport == "" {
		return "", "", invalid("transport", "Session transport is required; Parley does not infer transports.")
	}
	transports, known := transportsOf(provider)
	if transports == nil {
		return "", "", invalid("provider", fmt.Sprintf("Unknown session provider %s. Known providers: %s.",
			describe(rawProvider), strings.Join(known, ", "))).With("known", known)
	}
	if _, ok := transports[transport]; !ok {
		supported := slices.Sorted(maps.Keys(transports))
		return "", "", invalid("transport", fmt.Sprintf(
			"Unsupported session transport %s for provider '%s'. Supported transports: %s. "+
				"Parley does not infer or switch providers; set provider and transport explicitly.",
			describe(transport), provider, listed(supported))).With("supported", supported)
	}
	return provider, transport, nil
}

func transportsOf(provider string) (map[string]Capability, []string) {
	var found map[string]Capability
	var known []string
	for _, row := range loaded().Capabilities.Providers {
		known = append(known, row.Provider)
		if row.Provider == provider {
			found = row.Transports
		}
	}
	slices.Sort(known)
	return found, known
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// ParseDeclaration checks a decoded session declaration (see Decode) and returns it with its defaults filled in; what
// was given is left as it is. In order: it is an object; provider and transport; the form of every field; then what
// the pair supports. An error is invalid_argument with details.path.
func ParseDeclaration(raw any) (map[string]any, error) {
	given, ok := raw.(map[string]any)
	if !ok {
		return nil, invalid("", fmt.Sprintf("Session declaration must be an object, got %s.", describe(raw)))
	}
	provider, transport, err := CheckPair(given["provider"], given["transport"])
	if err != nil {
		return nil, err
	}
	if err := Checked("SessionDeclaration", raw); err != nil {
		return nil, err
	}
	transports, _ := transportsOf(provider)
	pair := declaredPair{provider, transport, transports[transport]}

	declaration := maps.Clone(given)
	for field, value := range loaded().Catalog.DeclarationDefaults {
		if _, present := given[field]; !present && field != "turn_detection" {
			declaration[field] = clone(value)
		}
	}
	declaration["provider"], declaration["transport"] = provider, transport
	if _, present := given["media"]; !present {
		declaration["media"] = pair.can.Via
	}
	if err := pair.checkSupported(declaration); err != nil {
		return nil, err
	}
	return declaration, pair.fillTurnDetection(declaration, given)
}

type declaredPair struct {
	provider, transport string
	can                 Capability
}

func (p declaredPair) String() string {
	return fmt.Sprintf("provider '%s' over '%s'", p.provider, p.transport)
}

func (p declaredPair) checkSupported(declaration map[string]any) error {
	if err := unique(declaration, "modalities"); err != nil {
		return err
	}
	for _, modality := range texts(declaration["modalities"]) {
		if !slices.Contains(p.can.Modalities, modality) {
			return invalid("modalities", fmt.Sprintf("Unsupported modality '%s' for %s. Supported modalities: %s.",
				modality, p, strings.Join(slices.Sorted(slices.Values(p.can.Modalities)), ", ")))
		}
	}
	if media, _ := declaration["media"].(string); !slices.Contains(p.can.Media, media) {
		return invalid("media", fmt.Sprintf("Unsupported media '%s' for %s. Supported media: %s.",
			media, p, strings.Join(slices.Sorted(slices.Values(p.can.Media)), ", ")))
	}
	if err := uniqueTools(texts(declaration["tools"])); err != nil {
		return err
	}
	for _, field := range []string{"handoffs", "guardrails", "client_events", "tags"} {
		if err := unique(declaration, field); err != nil {
			return err
		}
	}
	if keys, max := declaration["metadata"].(map[string]any), Limit("metadata_keys_max"); int64(len(keys)) > max {
		return invalid("metadata", fmt.Sprintf("metadata must have at most %d keys.", max))
	}
	return nil
}

func (p declaredPair) fillTurnDetection(declaration, given map[string]any) error {
	value, present := given["turn_detection"]
	if !present {
		if slices.Contains(texts(declaration["modalities"]), "audio") && slices.Contains(p.can.TurnDetection, "server_vad") {
			declaration["turn_detection"] = maps.Clone(loaded().Catalog.TurnDetectionDefaults["server_vad"])
		}
		return nil
	}
	if value == nil {
		if !p.can.PushToTalk {
			return invalid("turn_detection", fmt.Sprintf("turn_detection null (push-to-talk) is unsupported for %s.", p))
		}
		return nil
	}
	wanted := value.(map[string]any)
	mode := wanted["type"].(string)
	if !slices.Contains(p.can.TurnDetection, mode) {
		supported := slices.Sorted(slices.Values(p.can.TurnDetection))
		return invalid("turn_detection.type", fmt.Sprintf(
			"Unsupported turn_detection '%s' for %s. Supported turn detection: %s.", mode, p, listed(supported)))
	}
	filled := maps.Clone(loaded().Catalog.TurnDetectionDefaults[mode])
	maps.Copy(filled, wanted)
	declaration["turn_detection"] = filled
	return nil
}

func unique(declaration map[string]any, field string) error {
	seen := map[string]bool{}
	for _, value := range texts(declaration[field]) {
		if seen[value] {
			return invalid(field, fmt.Sprintf("%s must not name %s twice.", field, describe(value)))
		}
		seen[value] = true
	}
	return nil
}

// ExposedToolName is the name that a tool has for the model: resolve of support.resolve.
func ExposedToolName(reference string) string {
	_, name, dotted := strings.Cut(reference, ".")
	if !dotted {
		return reference
	}
	return name
}

func uniqueTools(tools []string) error {
	byName := map[string]string{}
	for _, tool := range tools {
		name := ExposedToolName(tool)
		if other, ok := byName[name]; ok {
			return invalid("tools", fmt.Sprintf("Tool name '%s' is exposed twice: '%s' and '%s'.", name, other, tool))
		}
		byName[name] = tool
	}
	return nil
}

// texts is a list of strings of a checked value.
func texts(value any) []string {
	list, _ := value.([]any)
	out := make([]string, 0, len(list))
	for _, entry := range list {
		if text, ok := entry.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

func clone(value any) any {
	switch v := value.(type) {
	case []any:
		return slices.Clone(v)
	case map[string]any:
		return maps.Clone(v)
	default:
		return value
	}
}

// ParseFunction checks the decoded declaration of a function. Nothing is filled in.
func ParseFunction(raw any) (map[string]any, error) {
	if err := Checked("FunctionDeclaration", raw); err != nil {
		return nil, err
	}
	return raw.(map[string]any), nil
}

// ParseTarget splits agent.name.
func ParseTarget(target string) (agent, name string, err error) {
	if !pattern(loaded().Catalog.Patterns.Target).MatchString(target) {
		return "", "", invalid("target", "target must be agent.name, got "+describe(target))
	}
	agent, name, _ = strings.Cut(target, ".")
	return agent, name, nil
}

// CheckAgentName checks the name of an agent.
func CheckAgentName(name string) error {
	source := loaded().Catalog.Patterns.Name
	if !pattern(source).MatchString(name) {
		return NewError("invalid_argument", fmt.Sprintf("an agent's name must match %s, got '%s'", source, name))
	}
	return nil
}

// ResolveTools gives the tools of a session as the model sees them. lookup finds the declaration of a function of an
// agent, or nil; a tool that is nowhere is failed_precondition, retryable.
func ResolveTools(agent string, tools []string, lookup func(agent, name string) map[string]any) ([]map[string]any, error) {
	resolved := make([]map[string]any, 0, len(tools))
	for _, reference := range tools {
		target := reference
		if !strings.Contains(reference, ".") {
			target = agent + "." + reference
		}
		owner, name, err := ParseTarget(target)
		if err != nil {
			return nil, err
		}
		found := lookup(owner, name)
		if found == nil {
			missing := NewError("failed_precondition",
				fmt.Sprintf("tool '%s' names %s, which no connected agent offers", reference, target))
			missing.Retryable = true
			return nil, missing.With("tool", reference).With("target", target)
		}
		tool := map[string]any{"name": name, "target": target, "kind": found["kind"]}
		for _, field := range []string{"description", "input_schema", "timeout_ms", "on_interrupt"} {
			if value, ok := found[field]; ok {
				tool[field] = value
			}
		}
		resolved = append(resolved, tool)
	}
	return resolved, nil
}

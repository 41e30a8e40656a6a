package fold

import (
	"encoding/json"
	"slices"

	"github.com/parley-dev/parley/packages/go/contract"
)

func (s *stepping) keepSchemas(event struct {
	Tools []toolSchema `json:"tools"`
}) {
	s.schemas = schemasOf(event.Tools)
}

// updated tells the model what was changed. Only what was resolved at the start can be enabled: an update narrows the
// allowlist, it never widens it.
func (s *stepping) updated(event contract.SessionUpdatedEvent) {
	command := contract.UpdateCommand{
		Type: "update", Instructions: event.Instructions, Voice: event.Voice, TurnDetection: event.TurnDetection,
		Settings: event.Settings,
	}
	if event.ResolvedTools != nil {
		s.otherTools(event.ResolvedTools)
		command.Tools = []contract.UpdateCommandToolsEntry{}
		for _, tool := range s.Tools {
			command.Tools = append(command.Tools, told(tool))
		}
	}
	if event.Tools != nil {
		s.EnabledTools = []string{}
		command.Tools = []contract.UpdateCommandToolsEntry{}
		for _, tool := range s.Tools {
			if slices.Contains(event.Tools, tool.Name) {
				s.EnabledTools = append(s.EnabledTools, tool.Name)
				command.Tools = append(command.Tools, told(tool))
			}
		}
	}
	if s.Declaration != nil {
		declaration := *s.Declaration
		if event.Instructions != nil {
			declaration.Instructions = event.Instructions
		}
		if event.Voice != nil {
			declaration.Voice = event.Voice
		}
		if event.TurnDetection != nil {
			declaration.TurnDetection = event.TurnDetection
		}
		s.Declaration = &declaration
	}
	if s.Connecting {
		// A connection that is being made was told the old values; one that is made later is told the new ones.
		s.WaitingUpdate = merged(s.WaitingUpdate, command)
	}
	if s.Phase == "live" {
		s.send(command)
	}
}

func told(tool contract.ResolvedTool) contract.UpdateCommandToolsEntry {
	return contract.UpdateCommandToolsEntry{
		Name: tool.Name, Description: tool.Description, InputSchema: tool.InputSchema,
	}
}

// otherTools are those of another agent, which takes over. What the model says in the answer that it is giving was begun
// with the tools of before.
func (s *stepping) otherTools(tools []contract.ResolvedTool) {
	if s.Response != nil && s.Response.Tools == nil {
		active := *s.Response
		active.Tools, active.schemas = []contract.ResolvedTool{}, s.schemas
		for _, tool := range s.Tools {
			if slices.Contains(s.EnabledTools, tool.Name) {
				active.Tools = append(active.Tools, tool)
			}
		}
		s.Response = &active
	}
	s.Tools = tools
	s.EnabledTools = make([]string, len(tools))
	for i, tool := range tools {
		s.EnabledTools[i] = tool.Name
	}
}

func (s *stepping) resolvedSchemas(event struct {
	Tools []toolSchema `json:"resolved_tools"`
}) {
	if event.Tools != nil {
		s.schemas = schemasOf(event.Tools)
	}
}

// toolSchema is a tool as the log has it: its schema keeps the order of its keys.
type toolSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"input_schema"`
}

func schemasOf(tools []toolSchema) map[string]json.RawMessage {
	schemas := make(map[string]json.RawMessage, len(tools))
	for _, tool := range tools {
		schemas[tool.Name] = tool.Schema
	}
	return schemas
}

func merged(waiting *contract.UpdateCommand, command contract.UpdateCommand) *contract.UpdateCommand {
	if waiting == nil {
		return &command
	}
	sum := *waiting
	if command.Instructions != nil {
		sum.Instructions = command.Instructions
	}
	if command.Voice != nil {
		sum.Voice = command.Voice
	}
	if command.TurnDetection != nil {
		sum.TurnDetection = command.TurnDetection
	}
	if command.Tools != nil {
		sum.Tools = command.Tools
	}
	if command.Settings != nil {
		sum.Settings = command.Settings
	}
	return &sum
}

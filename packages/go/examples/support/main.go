// The example agent. support.voice: the live model answers and calls a tool. support.desk: a handler answers.
// Each call makes a workflow: session -> reasoner -> skill.
package main

import (
	"cmp"
	"context"
	"log"
	"os"
	"regexp"

	parley "github.com/parley-dev/parley/packages/go"
)

type findOrderInput struct {
	Order string `json:"order"`
}

type lookUpInput struct {
	Order string `json:"order" description:"The number of the order, digits only."`
}

type lookUpOutput struct {
	Order          string `json:"order"`
	Found          bool   `json:"found"`
	SpokenResponse string `json:"spoken_response"`
}

type turnInput struct {
	Text string `json:"text"`
}

type answer struct {
	SpokenResponse string `json:"spoken_response"`
}

var (
	number    = regexp.MustCompile(`[0-9]+`)
	notDigits = regexp.MustCompile(`[^0-9]`)
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	support, err := parley.NewAgent("support")
	if err != nil {
		return err
	}
	findOrder, err := parley.RegisterSkill(support, "find_order",
		func(_ context.Context, input findOrderInput) (*order, error) { return orders[input.Order], nil },
		parley.WithDescription("Reads one order from the order book."))
	if err != nil {
		return err
	}
	lookUpOrder, err := parley.RegisterReasoner(support, "lookup_order",
		func(ctx context.Context, input lookUpInput) (lookUpOutput, error) {
			digits := notDigits.ReplaceAllString(input.Order, "")
			this := parley.Current(ctx)
			found, err := findOrder.Call(ctx, this, findOrderInput{Order: digits})
			if err != nil {
				return lookUpOutput{}, err
			}
			note := "no such order"
			if found != nil {
				note = "order found"
			}
			if err := this.Note(note, map[string]string{"order": digits}); err != nil {
				return lookUpOutput{}, err
			}
			return lookUpOutput{Order: digits, Found: found != nil, SpokenResponse: sentence(digits, found)}, nil
		},
		parley.WithDescription("Looks up an order by its number and says in one sentence where it is."),
		parley.WithTimeoutMS(10_000), parley.WithCancelOnInterrupt())
	if err != nil {
		return err
	}
	resolveTurn, err := parley.RegisterReasoner(support, "resolve_turn",
		func(ctx context.Context, input turnInput) (answer, error) {
			digits := number.FindString(input.Text)
			if digits == "" {
				return answer{"Which order do you mean? Please tell me its number."}, nil
			}
			found, err := lookUpOrder.Call(ctx, parley.Current(ctx), lookUpInput{Order: digits})
			return answer{found.SpokenResponse}, err
		},
		parley.WithDescription("Answers one turn of a conversation."))
	if err != nil {
		return err
	}
	if err := sessions(support, resolveTurn); err != nil {
		return err
	}
	return support.Serve(ctx)
}

func sessions(support *parley.Agent, resolveTurn parley.Function[turnInput, answer]) error {
	provider := cmp.Or(os.Getenv("PARLEY_EXAMPLE_PROVIDER"), "simulator")
	transport := cmp.Or(os.Getenv("PARLEY_EXAMPLE_TRANSPORT"), "websocket")
	err := support.RegisterSession("voice", provider, transport, nil,
		parley.WithSessionVoice("marin"),
		parley.WithSessionInstructions("You answer questions about orders. Use lookup_order, and say what it answers."),
		parley.WithSessionTools("support.lookup_order"))
	if err != nil {
		return err
	}
	return support.RegisterSession("desk", provider, transport,
		func(ctx context.Context, session *parley.Session) error {
			for turn, err := range session.Turns(ctx) {
				if err != nil {
					return err
				}
				result, err := resolveTurn.Call(ctx, session, turnInput{Text: turn.Text})
				if err != nil {
					return err
				}
				if _, err := session.Say(ctx, result.SpokenResponse); err != nil {
					return err
				}
			}
			return nil
		},
		parley.WithSessionVoice("marin"))
}

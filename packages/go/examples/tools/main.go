// The live model answers by itself, and may call the tools that the session names.
package main

import (
	"context"
	"fmt"

	parley "github.com/parley-dev/parley/packages/go"
)

type orderNumber struct {
	Order string `json:"order"`
}

type found struct {
	Order          string `json:"order"`
	SpokenResponse string `json:"spoken_response"`
}

func main() {
	app := parley.New("tools")
	parley.Skill(app, "find_order", func(_ context.Context, in orderNumber) (found, error) {
		return found{in.Order, fmt.Sprintf("Order %s ships on Friday.", in.Order)}, nil
	}, parley.WithDescription("Finds an order by its number."))
	app.Session("voice", "simulator", "websocket", nil,
		parley.WithSessionInstructions("Answer questions about orders. Use find_order, and say what it answers."),
		parley.WithSessionTools("find_order"))
	app.Run()
}

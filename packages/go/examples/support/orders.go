package main

import "fmt"

type order struct {
	Order  string `json:"order"`
	Item   string `json:"item"`
	Status string `json:"status" enum:"packed,shipped,delivered"`
	// Note is what the customer wants to hear.
	Note string `json:"note"`
}

// The order book of the examples: small, and the same on every run.
var orders = map[string]*order{
	"42": {"42", "a walnut desk", "packed", "It ships on Friday."},
	"43": {"43", "a reading lamp", "shipped", "It arrives tomorrow."},
	"44": {"44", "two chairs", "delivered", "It was delivered on Monday."},
}

// sentence is one sentence about an order, or about there being none.
func sentence(number string, found *order) string {
	if found == nil {
		return fmt.Sprintf("I cannot find an order %s.", number)
	}
	return fmt.Sprintf("Order %s is %s. %s", number, found.Item, found.Note)
}

package contract

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
)

const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

const idChars = 26

// NewID makes an id of a kind ("session", "execution", …): its prefix and 128 random bits. It panics on a kind that
// does not exist.
func NewID(kind string) string {
	prefix, ok := loaded().Catalog.IDPrefixes[kind]
	if !ok {
		panic(fmt.Sprintf("parley: there are no ids of kind %q", kind))
	}
	bits := make([]byte, 16)
	rand.Read(bits)
	return prefix + "_" + idEncoding.EncodeToString(bits)
}

// IsID says whether a text has the shape of an id of that kind.
func IsID(kind, text string) bool {
	prefix, ok := loaded().Catalog.IDPrefixes[kind]
	rest, found := strings.CutPrefix(text, prefix+"_")
	if !ok || !found || len(rest) != idChars {
		return false
	}
	return strings.Trim(rest, idAlphabet) == ""
}

// Reads a Grafana dashboard from standard input with the strict reader of Grafana's published schema, and prints what is wrong.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	raw, err := io.ReadAll(os.Stdin)
	exitIf(err)
	var read dashboard.Dashboard
	exitIf(read.UnmarshalJSONStrict(raw))
	exitIf(read.Validate())
}

// An empty list of errors is an error value, too.
func exitIf(err error) {
	if err != nil && err.Error() != "" {
		fmt.Println(err)
		os.Exit(1)
	}
}

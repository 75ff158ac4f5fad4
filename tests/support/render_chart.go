// Renders the templates of a Helm chart with Go's text/template, which Helm uses too, and the few functions of Helm that
// the chart needs. Reads {"templates": folder, "data": {"Values": …}} from standard input and writes YAML documents.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

func indented(spaces int, text string) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

func toYaml(value any) string {
	lines := []string{}
	switch value := value.(type) {
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			lines = append(lines, strconv.Quote(key)+":\n"+indented(2, toYaml(value[key])))
		}
	case []any:
		for _, each := range value {
			lines = append(lines, "-\n"+indented(2, toYaml(each)))
		}
	default:
		text, _ := json.Marshal(value)
		return string(text)
	}
	if len(lines) == 0 {
		text, _ := json.Marshal(value)
		return string(text)
	}
	return strings.Join(lines, "\n")
}

func toInt(value any) int {
	number, err := strconv.Atoi(fmt.Sprint(value))
	if err != nil {
		panic(err)
	}
	return number
}

func main() {
	var input struct {
		Templates string
		Data      map[string]any
	}
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	if err := decoder.Decode(&input); err != nil {
		panic(err)
	}
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(template.FuncMap{
		"add":       func(first, second any) int { return toInt(first) + toInt(second) },
		"int":       toInt,
		"nindent":   func(spaces int, text string) string { return "\n" + indented(spaces, text) },
		"quote":     func(value any) string { return strconv.Quote(fmt.Sprint(value)) },
		"sha256sum": func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"toYaml":    toYaml,
		"default": func(fallback, value any) any {
			if value == nil || value == "" {
				return fallback
			}
			return value
		},
		"dict": func(pairs ...any) map[string]any {
			made := map[string]any{}
			for i := 0; i < len(pairs); i += 2 {
				made[pairs[i].(string)] = pairs[i+1]
			}
			return made
		},
		"include": func(name string, data any) (string, error) {
			var text bytes.Buffer
			err := root.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
	})
	template.Must(root.ParseGlob(filepath.Join(input.Templates, "*")))
	files, _ := filepath.Glob(filepath.Join(input.Templates, "*.yaml"))
	for _, file := range files {
		fmt.Println("---")
		if err := root.ExecuteTemplate(os.Stdout, filepath.Base(file), input.Data); err != nil {
			panic(err)
		}
	}
}

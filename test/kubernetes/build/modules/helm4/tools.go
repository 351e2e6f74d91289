//go:build tools

// Package tools names the command that is built, so that go.sum covers all it imports.
package tools

import _ "helm.sh/helm/v4/cmd/helm"

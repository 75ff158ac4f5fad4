{{- define "clipengine.selector" -}}
app.kubernetes.io/name: clipengine
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "clipengine.labels" -}}
{{ include "clipengine.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

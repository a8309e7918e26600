{{- define "berth.labels" -}}
app.kubernetes.io/name: berth-controller
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "berth.selector" -}}
app.kubernetes.io/name: berth-controller
{{- end }}

{{/* Options that take effect only with a new start: the pods are replaced when one of them changes. */}}
{{- define "berth.startOptions" -}}
{{- omit .Values.options "pause-destructive" "log-level" "debug" | toJson }}{{ .Values.budgetTable | toJson }}
{{- end }}

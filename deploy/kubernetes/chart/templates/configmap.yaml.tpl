apiVersion: v1
kind: ConfigMap
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
data:
  {{- range $name, $value := .Values.options }}
  {{ $name }}: {{ if kindIs "slice" $value }}{{ join "," $value | quote }}{{ else if kindIs "map" $value }}{{ toJson $value | quote }}{{ else if kindIs "float64" $value }}{{ printf "%v" ($value | toJson) | quote }}{{ else }}{{ toString $value | quote }}{{ end }}
  {{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: berth-budget
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
data:
  buckets.json: {{ toJson .Values.budgetTable | quote }}

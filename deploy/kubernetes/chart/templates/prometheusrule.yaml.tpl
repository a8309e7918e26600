{{- if .Values.prometheusRule.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
    {{- with .Values.prometheusRule.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- /* The rules of deploy/kubernetes/prometheusrule.yaml, word for word: expressions of Prometheus have braces of their own. */}}
{{ .Files.Get "rules.yaml" }}
{{- end }}

{{- if .Values.podDisruptionBudget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "berth.selector" . | nindent 6 }}
{{- end }}

apiVersion: v1
kind: Service
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "berth.selector" . | nindent 4 }}
  ports:
    - name: metrics
      port: {{ .Values.port }}
      targetPort: metrics

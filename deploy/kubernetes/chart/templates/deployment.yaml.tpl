apiVersion: apps/v1
kind: Deployment
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      {{- include "berth.selector" . | nindent 6 }}
  strategy:
    # All replicas have the same port of the host: a new one needs the place of an old one.
    rollingUpdate:
      maxSurge: 0
      maxUnavailable: 1
  template:
    metadata:
      labels:
        {{- include "berth.labels" . | nindent 8 }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        berth.io/start-options: {{ include "berth.startOptions" . | sha256sum }}
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .Values.serviceAccount.name }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      # Pods get no addresses before this one runs: it uses the node's own network, and nodes that are not ready yet.
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
      tolerations:
        - operator: Exists
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels:
                  {{- include "berth.selector" . | nindent 18 }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: controller
          image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args:
            - controller
            - --config-dir=/etc/berth
            - --operator-prometheus-serve-addr=:{{ .Values.port }}
            {{- if .Values.budgetTable }}
            - --budget-table=/etc/berth-budget/buckets.json
            {{- end }}
            {{- range .Values.extraArgs }}
            - {{ . | quote }}
            {{- end }}
          env:
            - name: BERTH_K8S_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            {{- with .Values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: metrics
              containerPort: {{ .Values.port }}
              hostPort: {{ .Values.port }}
              protocol: TCP
          livenessProbe:
            httpGet:
              path: /healthz
              port: metrics
            initialDelaySeconds: 30
            periodSeconds: 10
            timeoutSeconds: 3
          readinessProbe:
            httpGet:
              path: /readyz
              port: metrics
            periodSeconds: 5
            timeoutSeconds: 3
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: config
              mountPath: /etc/berth
              readOnly: true
            - name: budget
              mountPath: /etc/berth-budget
              readOnly: true
      volumes:
        - name: config
          projected:
            # Where both name an option the later one counts.
            sources:
              {{- with .Values.existingConfigMap }}
              - configMap:
                  name: {{ . }}
                  optional: true
              {{- end }}
              - configMap:
                  name: berth-controller
        - name: budget
          configMap:
            name: berth-budget

# Made by `node deploy/kubernetes/chart-files.ts`.
# What the controller may do, and nothing else: test/unit/kubernetes/rbac.test.ts compares these rules with the requests that the
# code makes. CiliumNodes are created by the node agents, never by the controller.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Values.serviceAccount.name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "berth.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: berth-controller
rules:
  # The resources that are managed. `delete` collects those whose Kubernetes node is gone (--nodes-gc-interval 0: never).
  - apiGroups: [cilium.io]
    resources: [ciliumnodes]
    verbs: [get, list, watch, patch, delete]
  - apiGroups: [cilium.io]
    resources: [ciliumnodes/status]
    verbs: [patch]
  # Pods that wait for an address.
  - apiGroups: ['']
    resources: [pods]
    verbs: [list, watch]
  # Why nodes wait, as events of theirs. Without this rule it is said in the CiliumNodes alone.
  - apiGroups: ['']
    resources: [events]
    verbs: [create, patch]
  # Which Kubernetes nodes there are.
  - apiGroups: ['']
    resources: [nodes]
    verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: berth-controller
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: berth-controller
subjects:
  - kind: ServiceAccount
    name: {{ .Values.serviceAccount.name }}
    namespace: {{ .Release.Namespace }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
rules:
  # Leader election. `create` cannot be limited to a name.
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [create]
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    resourceNames: [berth-controller]
    verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: berth-controller
  namespace: {{ .Release.Namespace }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: berth-controller
subjects:
  - kind: ServiceAccount
    name: {{ .Values.serviceAccount.name }}
    namespace: {{ .Release.Namespace }}
---
{{- if eq (toString .Values.options.ipam) "multi-pool" }}
# What the controller may do besides rbac.yaml with --ipam multi-pool; the clouds, cluster-pool and kubernetes do not need it.
# test/unit/kubernetes/rbac.test.ts compares these rules with the requests that the code makes.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: berth-controller-pools
rules:
  # The pools that CIDRs of nodes are cut from. `create` is used by --auto-create-cilium-pod-ip-pools alone; none is ever changed or deleted.
  - apiGroups: [cilium.io]
    resources: [ciliumpodippools]
    verbs: [list, watch, create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: berth-controller-pools
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: berth-controller-pools
subjects:
  - kind: ServiceAccount
    name: {{ .Values.serviceAccount.name }}
    namespace: {{ .Release.Namespace }}
{{- end }}
---
{{- if or (index .Values.options "node-capacity-annotation") (index .Values.options "startup-taint") }}
# Needed only with --node-capacity-annotation or --startup-taint: the controller then writes on Kubernetes nodes.
# test/integration/explain-node-hints.test.ts compares these rules with the requests that the code makes.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: berth-controller-node-hints
rules:
  - apiGroups: ['']
    resources: [nodes]
    verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: berth-controller-node-hints
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: berth-controller-node-hints
subjects:
  - kind: ServiceAccount
    name: {{ .Values.serviceAccount.name }}
    namespace: {{ .Release.Namespace }}
{{- end }}

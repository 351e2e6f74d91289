{{- define "tigerchat.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "tigerchat" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-tigerchat" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of an object of the whole cluster: two releases may have the same name. */}}
{{- define "tigerchat.clusterName" -}}
{{- printf "%s-%s" (include "tigerchat.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* What selects the pods of one process: (dict "root" $ "process" "edge"). Holds no version. */}}
{{- define "tigerchat.selector" -}}
app.kubernetes.io/name: tigerchat-{{ .process }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* Labels of a process's pods. A new version of the chart alone does not restart them. */}}
{{- define "tigerchat.podLabels" -}}
{{ include "tigerchat.selector" . }}
app.kubernetes.io/component: {{ .process }}
app.kubernetes.io/part-of: tigerchat
{{- end -}}

{{/* Labels of an object of one process: as above. */}}
{{- define "tigerchat.labels" -}}
{{ include "tigerchat.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
{{- end -}}

{{/* Reference of a process's image: (dict "root" $ "image" .Values.edge.image). */}}
{{- define "tigerchat.image" -}}
{{- $name := printf "%s/%s" .root.Values.image.registry .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (coalesce .image.tag .root.Values.image.tag .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "tigerchat.pullPolicy" -}}
{{- coalesce .image.pullPolicy .root.Values.image.pullPolicy -}}
{{- end -}}

{{/* What Pod Security "restricted" asks of a pod, and our user. */}}
{{- define "tigerchat.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What it asks of a container, and a root file system that nobody writes to. */}}
{{- define "tigerchat.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where the pods of a process go: (dict "root" $ "process" "edge" "values" .Values.edge). */}}
{{- define "tigerchat.placement" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tigerchat.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}

{{/* The pod of an engine. Takes a dict of `root`, `command` ("serve" or "worker") and `values`, those of the engine. */}}
{{- define "clipengine.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "clipengine.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .command }}
  annotations:
    clipengine/settings: {{ $root.Values.settings | sha256sum }}
spec:
  # Longer than the drain, the ten seconds of the stop, and the time until the endpoints are updated.
  terminationGracePeriodSeconds: {{ add (int .values.drainSeconds) 30 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  automountServiceAccountToken: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: clipengine
      image: "{{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - {{ .command }}
        - --config=/etc/clipengine/clipengine.toml
        - --drain-seconds={{ int .values.drainSeconds }}
        - --host=0.0.0.0
        - --port=8377
      env:
        - {name: CLIPENGINE_DATA__FOLDER, value: /data}
        - {name: CLIPENGINE_DATABASE__URL_FILE, value: /run/clipengine/database-url}
        - {name: CLIPENGINE_DATABASE__SECRETS_KEY, value: /run/clipengine/secrets.key}
        - {name: CLIPENGINE_STORAGE__ACCESS_KEY_FILE, value: /run/clipengine/s3-access-key}
        - {name: CLIPENGINE_STORAGE__SECRET_KEY_FILE, value: /run/clipengine/s3-secret-key}
      ports:
        - {name: http, containerPort: 8377}
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 15
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        - {name: settings, mountPath: /etc/clipengine, readOnly: true}
        - {name: secret, mountPath: /run/clipengine, readOnly: true}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "clipengine.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .command }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumes:
    - name: data
      {{- if $root.Values.scratchClass }}
      ephemeral:
        volumeClaimTemplate:
          spec:
            accessModes: [ReadWriteOnce]
            storageClassName: {{ $root.Values.scratchClass }}
            resources: {requests: {storage: {{ .values.scratch }}}}
      {{- else }}
      emptyDir: {sizeLimit: {{ .values.scratch }}}
      {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    - name: settings
      configMap: {name: {{ $root.Release.Name }}-settings}
    - name: secret
      secret: {secretName: {{ $root.Values.secretName }}, defaultMode: 0440}
{{- end }}

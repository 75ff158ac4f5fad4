// The words of the audit log: its actions, who acts, and with what.

import {t} from "../lib/texts.js";

/** @type {Record<AuditEntry["action"], string>} */
export const ACTIONS = {
  "batch.cancel": t("Batch cancelled"),
  "batch.create": t("Batch requested"),
  "clip.cancel": t("Clip cancelled"),
  "clip.create": t("Clip created"),
  "clip.delete": t("Clip deleted"),
  "clip.download": t("Clip downloaded"),
  "clip.retry": t("Clip retried"),
  "clip.update": t("Clip changed"),
  "delivery.redeliver": t("Delivery repeated"),
  "key.create": t("Key created"),
  "key.revoke": t("Key revoked"),
  "other": t("Other actions"),
  "recording.create": t("Recording added"),
  "recording.delete": t("Recording removed"),
  "recording.download": t("Recording downloaded"),
  "recording.end": t("Recording ended"),
  "recording.play": t("Recording played"),
  "recording.update": t("Recording changed"),
  "rule.backfill": t("Rule applied to earlier recordings"),
  "rule.cancel_backfill": t("Rule stopped on earlier recordings"),
  "rule.create": t("Rule created"),
  "rule.delete": t("Rule deleted"),
  "rule.update": t("Rule changed"),
  "secrets.reset": t("Secrets reset"),
  "segments.update": t("Segments changed"),
  "session.begin": t("Signed in"),
  "session.end": t("Session ended"),
  "share.create": t("Link created"),
  "share.delete": t("Link revoked"),
  "share.download": t("Clip downloaded by a link"),
  "share.read": t("Link shown again"),
  "share.view": t("Clip viewed by a link"),
  "tool.call": t("Tool called"),
  "transcript.delete": t("Transcript deleted"),
  "transcript.update": t("Transcript stored"),
  "transcription.cancel": t("Transcription cancelled"),
  "transcription.create": t("Transcription requested"),
  "upload.append": t("Upload continued"),
  "upload.begin": t("Upload begun"),
  "upload.end": t("Upload discarded"),
  "user.create": t("User created"),
  "user.delete": t("User deleted"),
  "user.update": t("User changed"),
  "webhook.create": t("Webhook created"),
  "webhook.delete": t("Webhook deleted"),
  "webhook.test": t("Webhook tested"),
  "webhook.update": t("Webhook changed"),
};

/** @type {Record<AuditEntry["actor_kind"], string>} */
export const KINDS = {
  user: t("user"),
  key: t("key"),
  share: t("visitors of a link"),
  source: t("other system"),
  machine: t("command line"),
  unknown: t("unknown"),
};

/** @type {Record<NonNullable<AuditEntry["means"]>, string>} */
export const MEANS = {
  key: t("by a key"),
  session: t("in a session"),
  proxy: t("by the proxy"),
  oidc: t("by OpenID Connect"),
  share: t("by a link"),
  signature: t("by a signature"),
  command: t("by a command"),
  batch: t("by a batch"),
};

// The first program of a TypeScript developer: types from the OpenAPI document, checked with `tsc --strict`.
import createClient from "openapi-fetch";
import type { components, paths, webhooks } from "./api.js";

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:8377", headers: { Authorization: "Bearer x" } });

export async function firstClip(): Promise<string> {
  const registered = await client.POST("/v1/recordings", { body: { bucket_path: "relay/recordings/h_01/recording.mp4" } });
  if (registered.error) throw new Error(`${registered.error.code}: ${registered.error.detail}`);
  const recording: components["schemas"]["RecordingObject"] = registered.data;
  const { data, error } = await client.POST("/v1/recordings/{recording_id}/clips", {
    params: { path: { recording_id: recording.recording_id } },
    body: { label: "key-moment", start_seconds: 5, end_seconds: 12.5 },
  });
  if (error) throw new Error(error.detail);
  const waited = await client.GET("/v1/clips/{clip_id}", { params: { path: { clip_id: data.clip_id }, query: { wait: 30 } } });
  const page = await client.GET("/v1/clips", {});
  for (const clip of page.data?.data ?? []) console.log(clip.clip_id, clip.error?.code === "disk_full");
  return waited.data?.bucket_path ?? "";
}

type Ready = webhooks["clip.ready"]["post"]["requestBody"]["content"]["application/json"];
type Received = Ready | components["schemas"]["ClipFailedEvent"] | components["schemas"]["RecordingCompleteEvent"];

export function received(body: Received): string {
  switch (body.event) {
    case "clip.ready": return body.data.share_url ?? body.data.clip_id;
    case "clip.failed": return body.data.error?.message ?? "";
    default: return body.data.recording_id;
  }
}

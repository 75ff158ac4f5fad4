// Uses the OpenAPI document with openapi-fetch and nothing of ours. It is compiled, not run.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:8377" });

export async function follow(): Promise<void> {
  await client.GET("/v1/events", { params: { header: { "Last-Event-ID": "0" } }, parseAs: "stream" });
}

export async function subject(deliveryId: string): Promise<string> {
  const path = { delivery_id: deliveryId };
  const { data: delivery, error } = await client.GET("/v1/deliveries/{delivery_id}", { params: { path } });
  if (!delivery) throw new Error(error.detail);
  const { payload } = delivery;
  switch (payload.event) {
    case "clip.ready":
      return payload.data.share_url ?? payload.data.clip_id;
    case "recording.failed":
      return payload.data.error?.hint ?? payload.data.recording_id;
    case "endpoint.disabled":
      return payload.data.webhook_id;
    default:
      return payload.id;
  }
}

// Limits of the API, and what the settings allow. The server makes the module when it serves the page: see api/routes/page.py.

export const LIMITS: {
  /** Clips of a request for several. */
  batch: number;
  /** Clips of a recording that are counted. */
  counted: number;
  /** Events of a new webhook. */
  default_events: Webhook["events"];
  /** Events that a webhook can get. */
  events: Webhook["events"];
  /** Seconds of the longest frame that is not repeated when captions change. */
  frame_seconds: number;
  /** Ids in a query. */
  ids: number;
  /** Characters of a label. */
  label: number;
  /** Objects of a page of a list. */
  page: number;
  /** Parts of a clip. */
  parts: number;
  /** Name of the provider with which users sign in, or an empty text. */
  provider: string;
  /** Points of a focus that moves, and of all boxes that move. */
  points: number;
  /** Characters of a search. */
  query: number;
  /** Ranges that a clip leaves out, or that are put back. */
  removed: number;
  /** Characters of a tag. */
  tag: number;
  /** Characters of all tags of an object, with commas between them. */
  tags: number;
  /** What can suggest moments by the settings. */
  suggesters: string[];
  /** The transcribers of the settings. */
  transcribers: string[];
};

// Whether this browser can play a recording, as far as its container and codecs tell. Browsers play a video without the
// audio that they cannot decode, and report no error.

/**
 * FFmpeg's names. What is not listed is tried: the media element reports an error.
 *
 * @type {Record<string, string>}
 */
const CONTAINERS = {
  pieces: "video/x-pieces", // many files, which only a proxy joins
  mpegts: "video/mp2t",
  avi: "video/x-msvideo",
  mpeg: "video/mpeg",
  asf: "video/x-ms-asf",
  flv: "video/x-flv",
  mxf: "application/mxf",
};
/** @type {Record<string, string>} */
const CODECS = {
  hevc: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  mpeg2video: 'video/mp4; codecs="mp4v.61"',
  mpeg4: 'video/mp4; codecs="mp4v.20.8"',
  h263: 'video/3gpp; codecs="s263"',
  prores: 'video/quicktime; codecs="apcn"',
  ac3: 'audio/mp4; codecs="ac-3"',
  eac3: 'audio/mp4; codecs="ec-3"',
  dts: 'audio/mp4; codecs="dtsc"',
  alac: 'audio/mp4; codecs="alac"',
  amr_nb: 'audio/3gpp; codecs="samr"',
  mp2: 'audio/mp4; codecs="mp4a.40.33"',
};

/**
 * `media` is the API's object, `element` a media element.
 *
 * @param {Media} media
 * @param {HTMLMediaElement} element
 */
export function isUnplayable(media, element) {
  const types = [...media.container.split(",").map((name) => CONTAINERS[name]), ...[media.video, media.audio[0]].map((track) => track && CODECS[track.codec])];
  return types.some((type) => type && !element.canPlayType(type));
}

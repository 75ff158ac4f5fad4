// Upload a file three times with tus-js-client: `MODULE URL KEY FILE ADDRESSES`. Print the recordings of the first two uploads, one that
// another object continues and one in a single request, and the status of the third one, which is ended.

import {createReadStream, statSync} from "node:fs";
import {basename} from "node:path";

const [module, url, key, file, addresses] = process.argv.slice(2);
const {FileUrlStorage, Upload} = (await import(module)).default;
const headers = {Authorization: `Bearer ${key}`};
const settings = {
  endpoint: `${url}/v1/uploads`,
  headers,
  metadata: {filename: basename(file)},
  uploadSize: statSync(file).size,
  urlStorage: new FileUrlStorage(addresses),
  retryDelays: null,
};

/** Upload what the server lacks, and return the recording. */
const finish = (options = {}) =>
  new Promise((resolve, reject) => {
    const onSuccess = ({lastResponse}) => resolve(lastResponse.getHeader("Upload-Recording"));
    const upload = new Upload(createReadStream(file), {...settings, ...options, onError: reject, onSuccess});
    upload.findPreviousUploads().then(([known]) => {
      if (known) upload.resumeFromPreviousUpload(known);
      upload.start();
    }, reject);
  });

/** Send the first chunk, and return the address of the upload, which is ended if `ends`. */
const interrupt = (ends) =>
  new Promise((resolve, reject) => {
    const onChunkComplete = () => upload.abort(ends).then(() => resolve(upload.url), reject);
    const upload = new Upload(createReadStream(file), {...settings, chunkSize: 500_000, onError: reject, onChunkComplete});
    upload.start();
  });

const offsetOf = async (address) => {
  const {status, headers: found} = await fetch(address, {method: "HEAD", headers: {...headers, "Tus-Resumable": "1.0.0"}});
  return `${status} ${found.get("Upload-Offset")}`;
};

console.log(await offsetOf(await interrupt(false)));
console.log(await finish({removeFingerprintOnSuccess: true}));
console.log(await finish({uploadDataDuringCreation: true, removeFingerprintOnSuccess: true}));
console.log(await offsetOf(await interrupt(true)));

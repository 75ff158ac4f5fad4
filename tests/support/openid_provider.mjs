// `oidc-provider` from npm on a free port, with one client and its forms for development. Prints its issuer.
//
// Arguments: the file of the module, and the redirect URIs after signing in and after signing out.

import {createServer} from "node:http";
import {pathToFileURL} from "node:url";

const [module, callback, home] = process.argv.slice(2);
const {Provider} = await import(pathToFileURL(module).href);
const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const client = {
  client_id: "clips",
  client_secret: "a secret of the client",
  redirect_uris: [callback],
  post_logout_redirect_uris: [home],
};
const provider = new Provider(issuer, {
  clients: [client],
  claims: {openid: ["sub"], profile: ["name"], groups: ["groups"]},
  conformIdTokenClaims: false, // claims are in ID tokens, too
  findAccount: (_, id) => ({accountId: id, claims: () => ({sub: id, name: `${id} of the house`, groups: ["cutters"]})}),
  pkce: {required: () => true},
});
server.on("request", provider.callback());
console.log(issuer);

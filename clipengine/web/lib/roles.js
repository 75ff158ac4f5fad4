// Names of the roles of users.

import {t} from "./texts.js";

/** @type {Record<Role, string>} */
export const ROLES = {none: t("no role"), viewer: t("viewer"), editor: t("editor"), operator: t("operator")};

import { userUpdate } from "../../user-update.ts";

export const userPromote = userUpdate(
  "let a user administer the server, with every repository on it",
  { admin: true },
  "administers the server",
);

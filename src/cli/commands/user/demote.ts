import { userUpdate } from "../../user-update.ts";

export const userDemote = userUpdate(
  "let a user administer the server no more",
  { admin: false },
  "does not administer the server any more",
);

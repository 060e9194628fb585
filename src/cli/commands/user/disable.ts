import { userUpdate } from "../../user-update.ts";

export const userDisable = userUpdate(
  "make all of a user's tokens useless, at once; what the user did stays",
  { disabled: true },
  "is disabled",
);

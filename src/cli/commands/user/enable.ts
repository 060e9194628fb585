import { userUpdate } from "../../user-update.ts";

export const userEnable = userUpdate(
  "let a user in again who was disabled",
  { disabled: false },
  "is enabled",
);

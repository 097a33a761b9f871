foreach inputs as $record ({epoch: {}, head: {}};
  ([$record.headers // [] | while(length > 0; .[2:]) | {(.[0]): .[1]}] | add) as $headers
  | "\($record.partition)" as $partition
  | .counts = null
  | if $headers.ce_type == "runline.fence" then .epoch[$partition] = "\($record.offset):\($headers.nonce)"
    elif $headers.ce_type == "runline.commit" and $headers.epoch == .epoch[$partition]
      and $headers.prev == (.head[$record.key] // "genesis")
    then .head[$record.key] = $headers.ce_id | .counts = "\($record.key) \($headers.types)"
    else . end;
  .counts // empty)

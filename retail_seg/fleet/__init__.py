"""Work of a store spread over processes and machines by Ray: photos scanned, references embedded."""

"""Work spread over processes and machines by Ray: photos scanned, references embedded, folds trained."""

"""What people do with products: edit them, look after their health, look an import through before it is written."""

"""What makes a good pair: pure functions on Arrow record batches. No engine, no I/O but the language model's file."""

"""From weights to tokens: the catalog, the importer, the ONNX decoder, its memories and decoding."""

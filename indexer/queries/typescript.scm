(public_field_definition
  name: (_) @name
  value: [(arrow_function) (function_expression)]) @definition.method

(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.type
(internal_module name: (identifier) @name) @definition.module

(export_statement declaration: (abstract_class_declaration name: (_) @name)) @definition.class
(export_statement declaration: (interface_declaration name: (_) @name)) @definition.interface
(export_statement declaration: (type_alias_declaration name: (_) @name)) @definition.type
(export_statement declaration: (enum_declaration name: (_) @name)) @definition.type
(export_statement declaration: (function_signature name: (identifier) @name)) @definition.function

(type_identifier) @name @reference.type
(extends_clause value: (identifier) @name @reference.class)

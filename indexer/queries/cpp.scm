(function_definition declarator: [
  (function_declarator declarator: [(field_identifier) (destructor_name) (operator_name)] @name)
  (pointer_declarator declarator: (function_declarator declarator: (field_identifier) @name))
  (reference_declarator (function_declarator declarator: [(field_identifier) (operator_name)] @name))
]) @definition.method

(function_definition declarator:
  (reference_declarator (function_declarator declarator: (identifier) @name))) @definition.function

(function_definition declarator: [
  (function_declarator declarator: (qualified_identifier
    scope: (_) @scope
    name: [(identifier) (destructor_name) (operator_name)] @name))
  (pointer_declarator declarator: (function_declarator declarator: (qualified_identifier
    scope: (_) @scope
    name: (identifier) @name)))
  (reference_declarator (function_declarator declarator: (qualified_identifier
    scope: (_) @scope
    name: [(identifier) (operator_name)] @name)))
  (function_declarator declarator: (qualified_identifier name: (qualified_identifier
    scope: (_) @scope
    name: [(identifier) (destructor_name) (operator_name)] @name)))
]) @definition.method

(template_declaration (class_specifier name: (type_identifier) @name)) @definition.class
(template_declaration (struct_specifier name: (type_identifier) @name)) @definition.class
(template_declaration
  (function_definition declarator: (function_declarator declarator: (identifier) @name))) @definition.function
(template_declaration (alias_declaration name: (type_identifier) @name)) @definition.type

(alias_declaration name: (type_identifier) @name) @definition.type
(concept_definition name: (identifier) @name) @definition.type

(call_expression function: (qualified_identifier name: (identifier) @name)) @reference.call
(call_expression function: (template_function name: (identifier) @name)) @reference.call
(template_type name: (type_identifier) @name) @reference.type

; For JavaScript, TypeScript and TSX alike.
; The constructor, which the grammar's own query leaves out
((method_definition name: (property_identifier) @name) @definition.method
  (#eq? @name "constructor"))
(method_definition name: (private_property_identifier) @name) @definition.method

; `export` and `const` belong to the definition.
(export_statement declaration: (function_declaration name: (identifier) @name)) @definition.function
(export_statement declaration: (generator_function_declaration name: (identifier) @name)) @definition.function
(export_statement declaration: (class_declaration name: (_) @name)) @definition.class
(lexical_declaration
  (variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)])) @definition.function
(export_statement
  declaration: (lexical_declaration
    (variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)]))) @definition.function

(assignment_expression
  left: (member_expression object: (identifier) @scope property: (property_identifier) @name)
  right: [(arrow_function) (function_expression)]) @definition.function
(assignment_expression
  left: (member_expression
    object: (member_expression object: (identifier) @scope)
    property: (property_identifier) @name)
  right: [(arrow_function) (function_expression)]) @definition.method

(program (lexical_declaration (variable_declarator name: (identifier) @name)) @definition.constant)
(program
  (export_statement
    declaration: (lexical_declaration (variable_declarator name: (identifier) @name))) @definition.constant)

(import_statement) @import
(export_statement source: (_)) @import
((variable_declarator
  value: (call_expression function: (identifier) @_require arguments: (arguments . (string)))) @import
  (#eq? @_require "require"))
((expression_statement
  (call_expression function: (identifier) @_require arguments: (arguments . (string)))) @import
  (#eq? @_require "require"))
(call_expression function: (import) arguments: (arguments . (string))) @import

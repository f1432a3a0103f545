(method_declaration name: (name) @name) @definition.method
(enum_declaration name: (name) @name) @definition.type
(program (const_declaration (const_element (name) @name)) @definition.constant)

(function_call_expression function: (name) @name) @reference.call
(object_creation_expression (name) @name) @reference.class
(base_clause [(name) (qualified_name (name))] @name) @reference.class
(named_type (name) @name) @reference.type
(scoped_call_expression scope: (name) @name) @reference.class
(class_constant_access_expression . (name) @name) @reference.class

(namespace_use_declaration) @import
(include_expression) @import
(include_once_expression) @import
(require_expression) @import
(require_once_expression) @import

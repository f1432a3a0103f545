; Decorators belong to what they decorate: the widest node of a name is its definition.
(decorated_definition
  definition: (function_definition name: (identifier) @name)) @definition.function

(decorated_definition
  definition: (class_definition name: (identifier) @name)) @definition.class

(type_alias_statement . (type (identifier) @name)) @definition.constant
(type_alias_statement . (type (generic_type . (identifier) @name))) @definition.constant

; Inherited from, named as a type, used as a decorator
(class_definition superclasses: (argument_list (identifier) @name) @reference.class)
(class_definition superclasses: (argument_list (attribute attribute: (identifier) @name)) @reference.class)
(class_definition superclasses: (argument_list (subscript value: (identifier) @name)) @reference.class)
(type (identifier) @name @reference.type)
(type (attribute attribute: (identifier) @name) @reference.type)
(generic_type (identifier) @name @reference.type)
(type (subscript value: (identifier) @name) @reference.type)
(type (binary_operator (identifier) @name @reference.type))
(decorator (identifier) @name @reference.call)
(decorator (attribute attribute: (identifier) @name) @reference.call)

(import_statement) @import
(import_from_statement) @import

// The handle that rclpy asks for. The stock one opens a shared library for each middleware by its
// name; here both type supports live in this very extension, so they are handed out directly.
#include <string.h>

#include "rosidl_runtime_c/message_type_support_struct.h"
#include "rosidl_typesupport_interface/macros.h"
#include "tf2_msgs/msg/detail/tf_message__functions.h"
#include "tf2_msgs/msg/detail/tf_message__type_support.h"

#define HANDLE(library) \
  ROSIDL_TYPESUPPORT_INTERFACE__MESSAGE_SYMBOL_NAME(library, tf2_msgs, msg, TFMessage)

const rosidl_message_type_support_t * HANDLE(rosidl_typesupport_fastrtps_c)(void);
const rosidl_message_type_support_t * HANDLE(rosidl_typesupport_introspection_c)(void);

static const rosidl_message_type_support_t * find_handle(
  const rosidl_message_type_support_t * handle, const char * identifier)
{
  if (strcmp(identifier, handle->typesupport_identifier) == 0) {return handle;}
  if (strcmp(identifier, "rosidl_typesupport_fastrtps_c") == 0) {
    return HANDLE(rosidl_typesupport_fastrtps_c)();
  }
  if (strcmp(identifier, "rosidl_typesupport_introspection_c") == 0) {
    return HANDLE(rosidl_typesupport_introspection_c)();
  }
  return NULL;
}

const rosidl_message_type_support_t * HANDLE(rosidl_typesupport_c)(void)
{
  static const rosidl_message_type_support_t handle = {
    "rosidl_typesupport_c", NULL, find_handle, tf2_msgs__msg__TFMessage__get_type_hash,
    tf2_msgs__msg__TFMessage__get_type_description,
    tf2_msgs__msg__TFMessage__get_type_description_sources};
  return &handle;
}
